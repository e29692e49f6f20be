--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, photo, digest... These identify results with faces of an erased photo are deleted.
-- Returns 1 when none is left.
local aside = fading(ARGV[2], ARGV[3])
for i = 4, #ARGV do redis.call('SREM', aside, ARGV[i]) end
if redis.call('EXISTS', aside) == 1 then return 0 end
redis.call('SREM', p .. ':fading', ARGV[2] .. '/' .. ARGV[3])
return 1
