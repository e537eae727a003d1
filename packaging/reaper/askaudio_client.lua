-- Searches a running askaudio server and describes what REAPER is to do with a hit.
--
-- This file calls nothing of REAPER but `run`, a function that runs a program and returns its output. The tests run it
-- with a plain Lua interpreter.

local client = {}

-- JSON ------------------------------------------------------------------------------------------------------------

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function fail(text, at, what)
  error(string.format("the answer is no JSON at character %d: expected %s, got %q", at, what, text:sub(at, at + 20)), 0)
end

local function skip(text, at) return text:find("[^ \t\r\n]", at) or #text + 1 end

local function utf8_of(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xC0 + code // 0x40, 0x80 + code % 0x40) end
  if code < 0x10000 then return string.char(0xE0 + code // 0x1000, 0x80 + code // 0x40 % 0x40, 0x80 + code % 0x40) end
  return string.char(0xF0 + code // 0x40000, 0x80 + code // 0x1000 % 0x40, 0x80 + code // 0x40 % 0x40, 0x80 + code % 0x40)
end

local function read_string(text, at)
  local parts, from = {}, at + 1
  while true do
    local stop = text:find('["\\]', from) or fail(text, at, "the end of a text")
    parts[#parts + 1] = text:sub(from, stop - 1)
    if text:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
    local letter = text:sub(stop + 1, stop + 1)
    if letter == "u" then
      local code = tonumber(text:match("^%x%x%x%x", stop + 2) or fail(text, stop, "four hexadecimal digits"), 16)
      from = stop + 6
      local low = code >= 0xD800 and code < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", from)
      if low then
        code = 0x10000 + (code - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00
        from = from + 6
      end
      parts[#parts + 1] = utf8_of(code)
    else
      parts[#parts + 1] = ESCAPES[letter] or fail(text, stop, "an escape")
      from = stop + 2
    end
  end
end

local read_value

local function read_items(text, at, close, read_one)
  local found = {}
  at = skip(text, at + 1)
  if text:sub(at, at) == close then return found, at + 1 end
  while true do
    at = skip(text, read_one(found, at))
    local mark = text:sub(at, at)
    if mark == close then return found, at + 1 end
    if mark ~= "," then fail(text, at, "a comma or " .. close) end
    at = skip(text, at + 1)
  end
end

local function read_array(text, at)
  return read_items(text, at, "]", function(found, from)
    local value, after = read_value(text, from)
    found[#found + 1] = value
    return after
  end)
end

local function read_object(text, at)
  return read_items(text, at, "}", function(found, from)
    if text:sub(from, from) ~= '"' then fail(text, from, "a name") end
    local name, after = read_string(text, from)
    after = skip(text, after)
    if text:sub(after, after) ~= ":" then fail(text, after, "a colon") end
    found[name], after = read_value(text, skip(text, after + 1))
    return after
  end)
end

function read_value(text, at)
  local first = text:sub(at, at)
  if first == '"' then return read_string(text, at) end
  if first == "{" then return read_object(text, at) end
  if first == "[" then return read_array(text, at) end
  for word, value in pairs({ ["true"] = true, ["false"] = false }) do
    if text:sub(at, at + #word - 1) == word then return value, at + #word end
  end
  if text:sub(at, at + 3) == "null" then return nil, at + 4 end
  local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at) or fail(text, at, "a value")
  return tonumber(number), at + #number
end

--- A JSON text as Lua values; null is nil.
function client.decode(text)
  local value, after = read_value(text, skip(text, 1))
  if skip(text, after) <= #text then fail(text, after, "the end") end
  return value
end

-- requests --------------------------------------------------------------------------------------------------------

--- A text in an address: everything but letters, digits and -._~ is percent-encoded.
function client.encode(text)
  return (text:gsub("[^%w%-._~]", function(char) return string.format("%%%02X", char:byte()) end))
end

--- Address of a search; `where` is a filter such as duration<3, or empty.
function client.search_url(settings, words, where, count)
  local address = string.format("%s/v1/search?top_k=%d&q=%s", settings.server, count or 20, client.encode(words))
  return where ~= "" and address .. "&where=" .. client.encode(where) or address
end

--- What curl reads with -K: address, token and target are in a file, so that no other program sees the token among the
--- arguments, and no character has a meaning for a shell.
function client.curl_config(settings, url, target)
  local lines = { "silent", "show-error", "location = false", "max-time = 30", 'url = "' .. url .. '"' }
  if settings.token ~= "" then
    local token = settings.token:gsub('[\\"]', "\\%0")
    lines[#lines + 1] = 'header = "Authorization: Bearer ' .. token .. '"'
  end
  if target then
    lines[#lines + 1] = "fail"
    lines[#lines + 1] = 'output = "' .. target:gsub('[\\"]', "\\%0") .. '"'
  end
  return table.concat(lines, "\n") .. "\n"
end

--- Hits of the server for words; `run(config)` runs curl with a configuration and returns its output.
function client.search(settings, words, where, run)
  local output = run(client.curl_config(settings, client.search_url(settings, words, where)))
  if not output or output == "" then
    error("the server at " .. settings.server .. " does not answer. Is askaudio serve running?", 0)
  end
  local answer = client.decode(output)
  if not answer.hits then error(answer.detail or "the server gave no hits", 0) end
  return answer.hits
end

-- what to do with a hit -------------------------------------------------------------------------------------------

function client.name_of(hit) return hit.path:match("([^/\\]+)$") or hit.path end

local function clock(seconds) return string.format("%d:%04.1f", seconds // 60, seconds % 60) end

--- A line of the list: name, match, and where it matches.
function client.label_of(hit)
  local name = client.name_of(hit):gsub("[|!#<>]", " ") -- these have a meaning in menus of REAPER
  return string.format("%s   %d   %s-%s", name, math.floor(hit.match + 0.5), clock(hit.start_s), clock(hit.end_s))
end

--- Where the part begins in the file, and how long it is; nil where it is all of the file.
function client.part_of(hit)
  local length = hit.metadata and hit.metadata.duration_s or hit.end_s
  if hit.start_s < 0.05 and hit.end_s > length - 0.05 then return nil end
  return hit.start_s, hit.end_s - hit.start_s
end

--- Address of the file of a hit, for servers on other machines.
function client.download_url(settings, hit)
  return settings.server .. "/v1/clips/" .. client.encode(hit.clip_id) .. "/audio?download=true"
end

--- A name without what systems forbid, for a copy of the file.
function client.safe_name(name) return (name:gsub('[%c<>:"/\\|?*]', "_"):gsub("^%.+", "_")) end

return client
