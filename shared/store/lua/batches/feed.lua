--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, source, chunk, at, next chunk, next at, then (job id, line, custom id, units, spec, number of the
-- words that follow, more fields of the record) a line.
-- Queues the lines after the cursor and moves it, in one step: a feeder that died or came late changes nothing.
-- Returns 1, or 0 when the batch is not where the caller thinks.
local id = ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'stop', 'source', 'chunk', 'at', 'tenant')
if f[1] ~= 'running' or f[2] or f[3] ~= ARGV[3] or f[4] ~= ARGV[4] or f[5] ~= ARGV[5] then return 0 end
local lines, units, i = 0, 0, 8
while ARGV[i] do
  local job = {id = ARGV[i], lane = 'batch', tenant = f[6], units = ARGV[i + 3]}
  local after = i + 6 + ARGV[i + 5]
  create(job, ARGV[i + 4], unpack(ARGV, i + 6, after - 1))
  redis.call('HSET', record(job.id), 'batch', id, 'line', ARGV[i + 1], 'custom', ARGV[i + 2], 'chunk', ARGV[3] .. '-' .. ARGV[4])
  redis.call('SADD', members(id), job.id)
  lines, units = lines + 1, units + tonumber(ARGV[i + 3])
  i = after
end
redis.call('HSET', batch(id), 'chunk', ARGV[6], 'at', ARGV[7])
redis.call('HINCRBY', batch(id), 'open', lines)
redis.call('HINCRBY', batch(id), 'left', 0 - units)
announce_batch(id)
return 1
