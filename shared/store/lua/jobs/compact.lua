--- @include lib/job_keys
--- @include lib/job_record
--- @args picture_stage stages ids...
-- The log of their batch has the lines of these jobs: their records keep only what the lines do not say. Each record is
-- created again, because a hash that ever held a long value takes twice the memory. Running this twice changes nothing more.
-- picture_stage: the stage whose digest is in the picture's key; stages: all of them in order, with blanks between.
local LEFT_OUT = {spec = true, custom = true, units = true, waits = true, owns = true}
for _, id in ipairs(ids) do
  local flat, f, kept = redis.call('HGETALL', job_key(id)), {}, {}
  for i = 1, #flat, 2 do f[flat[i]] = flat[i + 1] end
  if f.spec and f.chunk and OVER[f.s] then
    local digest = f['o:' .. picture_stage]
    local first, last
    if f.picture and digest then first, last = string.find(f.picture, digest, 1, true) end
    if first then f.picture = f.picture:sub(1, first - 1) .. '*' .. f.picture:sub(last + 1) end
    local seconds = {}
    for stage in string.gmatch(stages, '%S+') do
      seconds[#seconds + 1] = f['t:' .. stage] or '-'
      f['t:' .. stage] = nil
    end
    f.t = table.concat(seconds, ' ')
    for name, value in pairs(f) do
      if not LEFT_OUT[name] then
        kept[#kept + 1] = name
        kept[#kept + 1] = value
      end
    end
    redis.call('DEL', job_key(id))
    redis.call('HSET', job_key(id), unpack(kept))
  end
end
