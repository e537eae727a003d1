-- @description Search sounds by describing them, and insert them at the cursor (askaudio)
-- @about
--   Asks for words, shows what a running "askaudio serve" finds, and inserts the chosen sound at the edit cursor of the
--   selected track: the whole file, or only the part that matches. Files of another machine are copied to the project.
--
--   Install: Actions > Show action list > New action > Load ReaScript, and choose this file. askaudio_client.lua must be
--   in the same folder. curl must be installed (it is part of Windows, macOS and most Linux systems).

local here = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"
local client = dofile(here .. "askaudio_client.lua")
local SECTION = "askaudio"

local function setting(name, otherwise)
  local value = reaper.GetExtState(SECTION, name)
  return value ~= "" and value or otherwise
end

local function temporary_file(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

--- Run curl with a configuration; returns its output.
local function run(config)
  local path = temporary_file(config)
  local answer = reaper.ExecProcess('curl -K "' .. path .. '"', 35000)
  os.remove(path)
  if not answer then error("curl could not be started. Install it, or add it to the PATH", 0) end
  local code, output = answer:match("^(%-?%d+)\n(.*)$")
  if code ~= "0" then error("the server does not answer: " .. (output or answer):gsub("%s+$", ""), 0) end
  return output
end

local function ask()
  local before = table.concat({ setting("words", ""), setting("where", ""), setting("server", "http://127.0.0.1:8765") }, "\n")
  local titles = "Describe a sound,Filter (or empty),Server,extrawidth=260,separator=\n"
  local ok, values = reaper.GetUserInputs("askaudio", 3, titles, before)
  if not ok then return nil end
  local words, where, server = values:match("^([^\n]*)\n([^\n]*)\n([^\n]*)$")
  for name, value in pairs({ words = words, where = where, server = server }) do
    reaper.SetExtState(SECTION, name, value, true)
  end
  return words, where, { server = server:gsub("/+$", ""), token = setting("token", "") }
end

local function choose(hits)
  local lines = {}
  for _, hit in ipairs(hits) do lines[#lines + 1] = client.label_of(hit) end
  gfx.init("askaudio", 0, 0)
  gfx.x, gfx.y = gfx.mouse_x, gfx.mouse_y
  local place = gfx.showmenu(table.concat(lines, "|"))
  gfx.quit()
  return hits[place]
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

--- The file of a hit on this machine: where the server has it, else a copy in the folder of the project.
local function file_of(settings, hit)
  if exists(hit.path) then return hit.path end
  local target = reaper.GetProjectPath("") .. "/" .. client.safe_name(client.name_of(hit))
  if not exists(target) then run(client.curl_config(settings, client.download_url(settings, hit), target)) end
  return target
end

local function insert(path, hit)
  local start_s, length_s = client.part_of(hit)
  local track = reaper.GetSelectedTrack(0, 0) or reaper.GetTrack(0, 0)
  if not track then
    reaper.InsertTrackAtIndex(0, true)
    track = reaper.GetTrack(0, 0)
  end
  local source = reaper.PCM_Source_CreateFromFile(path)
  if not source then error("REAPER cannot open " .. path, 0) end
  local item = reaper.AddMediaItemToTrack(track)
  local take = reaper.AddTakeToMediaItem(item)
  reaper.SetMediaItemTake_Source(take, source)
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", client.name_of(hit), true)
  reaper.SetMediaItemTakeInfo_Value(take, "D_STARTOFFS", start_s or 0)
  local cursor = reaper.GetCursorPosition()
  reaper.SetMediaItemInfo_Value(item, "D_POSITION", cursor)
  length_s = length_s or reaper.GetMediaSourceLength(source)
  reaper.SetMediaItemInfo_Value(item, "D_LENGTH", length_s)
  reaper.SetEditCurPos(cursor + length_s, true, false)
  reaper.UpdateArrange()
end

local function main()
  local words, where, settings = ask()
  if not words or words == "" then return end
  local hits = client.search(settings, words, where, run)
  if #hits == 0 then error("nothing found; try other words, or a wider filter", 0) end
  local hit = choose(hits)
  if not hit then return end
  local path = file_of(settings, hit)
  reaper.Undo_BeginBlock()
  insert(path, hit)
  reaper.Undo_EndBlock("askaudio: insert " .. client.name_of(hit), -1)
end

local ok, message = pcall(main)
if not ok then reaper.ShowMessageBox(tostring(message), "askaudio", 0) end
