--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, source, chunks, good lines, bad lines, units, requests or '', by, then the names of chunks of the error log.
-- All lines are read. With requests, these and the units count against the tenant's limits, if the batch starts.
-- Returns {1, as charge...}, {2, as charge...} when it is refused, or {0} when the batch was dropped in the meantime. A caller
-- whose first answer got lost asks again with the same source, and nothing counts twice.
local id = ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'source', 'tenant')
local is_again = f[1] and f[1] ~= 'validating' and f[2] == ARGV[3]
if f[1] ~= 'validating' and not is_again then return {0} end
local charged = charge_once(f[3], ARGV[8], ARGV[7], is_again)
if (charged[1] or '') ~= '' then return {2, unpack(charged)} end
if is_again then return {1, unpack(charged)} end
local t = now()
redis.call('HSET', batch(id), 's', 'running', 'at:running', stamp(), 'source', ARGV[3], 'chunks', ARGV[4], 'chunk', 0,
  'at', 0, 'good', ARGV[5], 'bad', ARGV[6], 'left', ARGV[7], 'marka', string.format('%.3f 0 0', t))
local expires_after = redis.call('HGET', batch(id), 'expires_after')
if expires_after then redis.call('HSET', batch(id), 'deadline', string.format('%.3f', t + expires_after)) end
for i = 10, #ARGV do redis.call('RPUSH', p .. ':log:errors:' .. id, ARGV[i]) end
redis.call('DEL', p .. ':intake:' .. id)
note(f[3], ARGV[9], 'batch.submitted', id)
announce_batch(id)
ring_feeder()
return {1, unpack(charged)}
