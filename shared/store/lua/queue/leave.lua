--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, worker. The worker is gone; nobody waits for its lock to run out.
redis.call('ZREM', p .. ':workers', ARGV[2])
redis.call('DEL', p .. ':worker:' .. ARGV[2])
if redis.call('GET', p .. ':pump') == ARGV[2] then redis.call('DEL', p .. ':pump') end
