--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, photo, 1 when its bytes are deleted or '' when that failed. Who asked photos/begin_delete.lua is done with it; others may
-- still be at it.
local key = clearing(ARGV[2], ARGV[3])
if tonumber(redis.call('GET', key) or 0) > 1 then redis.call('DECR', key) else redis.call('DEL', key) end
if ARGV[4] ~= '' then redis.call('SREM', p .. ':going', ARGV[2] .. '/' .. ARGV[3]) end
