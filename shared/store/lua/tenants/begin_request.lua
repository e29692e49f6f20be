--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, name, holder, lease_s, keep_s. Whoever asks first under a name works; whoever asks after that hears what was
-- answered. A holder that asks again prolongs its lease; one that fell silent is followed by the next, with the same seed.
-- Returns {'work', seed}, {'running'} or {'answered', fingerprint, answer}.
local key = p .. ':answer:' .. ARGV[2]
local f = redis.call('HMGET', key, 'answer', 'print', 'holder', 'until', 'seed')
if f[1] then return {'answered', f[2], f[1]} end
if f[3] and f[3] ~= ARGV[3] and tonumber(f[4]) > now() then return {'running'} end
local seed = f[5] or ARGV[3]
redis.call('HSET', key, 'holder', ARGV[3], 'until', string.format('%.3f', now() + tonumber(ARGV[4])), 'seed', seed)
redis.call('EXPIRE', key, ARGV[5])
return {'work', seed}
