--- @include lib/batch_keys
--- @include lib/events
local function announce_batch(id) publish(id, redis.call('HINCRBY', batch_key(id), 'seq', 1)) end
