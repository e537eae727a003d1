-- Runs askaudio_search.lua with a table `reaper` that records its calls.
-- Arguments: the script, the server, the words, the filter, the number of the menu entry, the folder of the project.
local script, server, words, where, place, project = table.unpack(arg)
local noted = {}
local function note(...) noted[#noted + 1] = table.concat({ ... }, "\t") end

gfx = { mouse_x = 0, mouse_y = 0, init = function() end, quit = function() end }
function gfx.showmenu(text)
  for line in text:gmatch("[^|]+") do note("menu", line) end
  return tonumber(place)
end

local stored = { token = os.getenv("ASKAUDIO_TEST_TOKEN") or "" }
reaper = {
  GetExtState = function(_, name) return stored[name] or "" end,
  SetExtState = function(_, name, value) stored[name] = value end,
  GetUserInputs = function() return true, words .. "\n" .. where .. "\n" .. server end,
  ExecProcess = function(command)
    local pipe = io.popen(command .. " 2>&1")
    local output = pipe:read("a")
    local _, _, code = pipe:close()
    return string.format("%d\n%s", code or 0, output)
  end,
  GetProjectPath = function() return project end,
  GetSelectedTrack = function() return nil end,
  GetTrack = function() return noted.track end,
  InsertTrackAtIndex = function() noted.track = "track" end,
  PCM_Source_CreateFromFile = function(path) note("source", path) return "source" end,
  AddMediaItemToTrack = function(track) note("item on", track) return "item" end,
  AddTakeToMediaItem = function() return "take" end,
  SetMediaItemTake_Source = function() end,
  GetSetMediaItemTakeInfo_String = function(_, name, value) note(name, value) end,
  SetMediaItemTakeInfo_Value = function(_, name, value) note(name, string.format("%.3f", value)) end,
  SetMediaItemInfo_Value = function(_, name, value) note(name, string.format("%.3f", value)) end,
  GetMediaSourceLength = function() return 7 end,
  GetCursorPosition = function() return 10 end,
  SetEditCurPos = function(position) note("cursor", string.format("%.3f", position)) end,
  UpdateArrange = function() end,
  Undo_BeginBlock = function() end,
  Undo_EndBlock = function(text) note("undo", text) end,
  ShowMessageBox = function(text) note("message", text) end,
}
dofile(script)
for _, line in ipairs(noted) do print(line) end
