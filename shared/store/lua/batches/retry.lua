--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, round, source, chunks, failed, canceled, expired, units, requests or '', by, then the names of the chunks of the
-- error log. The batch runs again over the lines of a new source, which ended in these states. With requests, these and the
-- units of the lines that were begun count against the tenant's limits.
-- Returns {1, as charge...}, {2, as charge...} when it is refused, or {0} when it is not over or somebody else was faster. A
-- caller whose first answer got lost asks again with the same source, and nothing counts twice.
local id = ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'round', 'tenant', 'expires_after', 'at:validating', 'leaving', 'source', 'owed')
local is_again = f[7] == ARGV[4]
if not is_again then
  if not f[1] or f[1] == 'validating' or f[1] == 'running' or f[1] == 'finalizing' then return {0} end
  if f[6] or tonumber(f[2] or 0) ~= tonumber(ARGV[3]) then return {0} end
end
-- All that may fail comes before the first write. A difference, because the opposite of 0 is -0, which Redis 7.0 does not take.
local errors, t, round = p .. ':log:errors:' .. id, now(), tonumber(ARGV[3]) + 1
local fewer = {}
for i, status in ipairs({'failed', 'canceled', 'expired'}) do fewer['n:' .. status] = 0 - tonumber(ARGV[5 + i]) end
local deadline = f[4] and string.format('%.3f', t + f[4])
local charged = charge_once(f[3], ARGV[10], f[8] or 0, is_again)
if (charged[1] or '') ~= '' then return {2, unpack(charged)} end
if is_again then return {1, unpack(charged)} end
redis.call('ZREM', p .. ':keptbatches', id)
redis.call('DEL', errors)
for i = 12, #ARGV do redis.call('RPUSH', errors, ARGV[i]) end
for field, by in pairs(fewer) do redis.call('HINCRBY', batch(id), field, by) end
redis.call('HDEL', batch(id), 'stop', 'deadline', 'at:finalizing', 'at:' .. f[1], 'markb', 'owed')
redis.call('HSET', batch(id), 's', 'running', 'at:running', stamp(), 'round', round, 'source', ARGV[4],
  'chunks', ARGV[5], 'left', ARGV[9], 'chunk', 0, 'at', 0)
local g = redis.call('HMGET', batch(id), 'n:succeeded', 'n:failed', 'n:canceled', 'n:expired')
local over = (g[1] or 0) + (g[2] or 0) + (g[3] or 0) + (g[4] or 0)
redis.call('HSET', batch(id), 'marka', string.format('%.3f %d %d', t, over, g[1] or 0))
if deadline then redis.call('HSET', batch(id), 'deadline', deadline) end
redis.call('ZADD', p .. ':feeding', f[5], id)
note(f[3], ARGV[11], 'batch.retried', id)
announce_batch(id)
ring_feeder()
return {1, unpack(charged)}
