--- @include lib/audit
--- @include lib/batch_events
--- @include lib/batch_keys
--- @include lib/charge_batch
--- @include lib/notify
--- @include lib/time
--- @args id source chunks good bad units:number requests:number? by errors...
-- All lines are read: the batch runs. With requests, these and the units count against the tenant's limits. errors: chunks of
-- the error log. Returns {1, as charge...}, {2, as charge...} when it is rejected, or {0} when the batch was dropped in the
-- meantime. A caller whose first answer got lost asks again with the same source, and nothing counts twice.
local f = redis.call('HMGET', batch_key(id), 's', 'source', 'tenant', 'expires_after')
local is_repeated = f[1] and f[1] ~= 'validating' and f[2] == source
if f[1] ~= 'validating' and not is_repeated then return {0} end
local charged = charge_batch(f[3], requests, units, is_repeated)
if (charged[1] or '') ~= '' then return {2, unpack(charged)} end
if is_repeated then return {1, unpack(charged)} end
local t = now()
local deadline = f[4] and string.format('%.3f', t + f[4])
redis.call('HSET', batch_key(id), 's', 'running', 'at:running', stamp(), 'source', source, 'chunks', chunks, 'chunk', 0,
  'at', 0, 'good', good, 'bad', bad, 'left', units, 'marka', string.format('%.3f 0 0', t))
if deadline then redis.call('HSET', batch_key(id), 'deadline', deadline) end
for _, chunk in ipairs(errors) do redis.call('RPUSH', log_key(id, 'errors'), chunk) end
redis.call('DEL', intake_key(id))
record_action(f[3], by, 'batch.submitted', id)
announce_batch(id)
notify('feed')
return {1, unpack(charged)}
