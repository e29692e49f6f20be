--- @args name holder action keep_s:number? fingerprint? response?
-- The holder has finished. action: its response is recorded (record), the next request may work at once with the same seed
-- (free), or as if there had been none (forget). Returns 1, or 0 when another request took over meanwhile.
local key = p .. ':response:' .. name
if redis.call('HGET', key, 'holder') ~= holder then return 0 end
if action == 'record' then
  redis.call('DEL', key)
  redis.call('HSET', key, 'print', fingerprint or '', 'response', response)
  redis.call('EXPIRE', key, keep_s)
elseif action == 'free' then
  redis.call('HSET', key, 'until', 0)
else
  redis.call('DEL', key)
end
return 1
