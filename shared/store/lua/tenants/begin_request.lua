--- @include lib/time
--- @args name holder lease_s:number keep_s:number
-- The first request of a name works; the ones after it get its recorded response. A holder that asks again prolongs its
-- lease; when one goes silent the next request works, with the same seed.
-- Returns {'work', seed}, {'running'} or {'recorded', fingerprint, response}.
local key = p .. ':response:' .. name
local f = redis.call('HMGET', key, 'response', 'print', 'holder', 'until', 'seed')
if f[1] then return {'recorded', f[2], f[1]} end
if f[3] and f[3] ~= holder and tonumber(f[4]) > now() then return {'running'} end
local seed = f[5] or holder
redis.call('HSET', key, 'holder', holder, 'until', string.format('%.3f', now() + lease_s), 'seed', seed)
redis.call('EXPIRE', key, keep_s)
return {'work', seed}
