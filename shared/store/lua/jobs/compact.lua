--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, then ids (from ARGV[2] on). A log of their batch tells of these jobs: their records keep only what the batch's lines do not say.
-- Made anew, because a hash that ever held a long value takes twice the room. Twice is as good as once.
local STAGES = {'identify', 'render', 'detect', 'personalize', 'verify'}
local LEFT_OUT = {spec = true, custom = true, units = true, waits = true, makes = true}
for i = 2, #ARGV do
  local flat, f, kept = redis.call('HGETALL', record(ARGV[i])), {}, {}
  for j = 1, #flat, 2 do f[flat[j]] = flat[j + 1] end
  if f.spec and f.chunk and OVER[f.s] then
    if f.picture and f['o:personalize'] then
      local first, last = string.find(f.picture, f['o:personalize'], 1, true)
      if first then f.picture = f.picture:sub(1, first - 1) .. '*' .. f.picture:sub(last + 1) end
    end
    local seconds = {}
    for number, stage in ipairs(STAGES) do
      seconds[number] = f['t:' .. stage] or '-'
      f['t:' .. stage] = nil
    end
    f.t = table.concat(seconds, ' ')
    for name, value in pairs(f) do
      if not LEFT_OUT[name] then
        kept[#kept + 1] = name
        kept[#kept + 1] = value
      end
    end
    redis.call('DEL', record(ARGV[i]))
    redis.call('HSET', record(ARGV[i]), unpack(kept))
  end
end
