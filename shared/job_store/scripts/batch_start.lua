-- ARGV: prefix, id, source, chunks, good lines, bad lines, units, by, then the names of chunks of the error log. All lines are read.
-- Returns 1, or 0 when the batch was dropped in the meantime.
local id = ARGV[2]
if redis.call('HGET', batch(id), 's') ~= 'validating' then return 0 end
local t = now()
redis.call('HSET', batch(id), 's', 'running', 'at:running', stamp(), 'source', ARGV[3], 'chunks', ARGV[4], 'chunk', 0,
  'at', 0, 'good', ARGV[5], 'bad', ARGV[6], 'left', ARGV[7], 'marka', string.format('%.3f 0 0', t))
local expires_after = redis.call('HGET', batch(id), 'expires_after')
if expires_after then redis.call('HSET', batch(id), 'deadline', string.format('%.3f', t + expires_after)) end
for i = 9, #ARGV do redis.call('RPUSH', p .. ':log:errors:' .. id, ARGV[i]) end
redis.call('DEL', p .. ':intake:' .. id)
note(redis.call('HGET', batch(id), 'tenant'), ARGV[8], 'batch.submitted', id)
announce_batch(id)
ring_feeder()
return 1
