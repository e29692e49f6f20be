--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, photo. Nobody may use the photo any more: its bytes are to be deleted within ERASED_S, and until photos/end_delete.lua
-- it is not kept anew. Returns 1, or 0 when it was uploaded again: then it stays.
if redis.call('EXISTS', photo_of(ARGV[2], ARGV[3])) == 1 then
  redis.call('SREM', p .. ':going', ARGV[2] .. '/' .. ARGV[3])
  return 0
end
redis.call('INCR', clearing(ARGV[2], ARGV[3]))
redis.call('EXPIRE', clearing(ARGV[2], ARGV[3]), ERASED_S)
return 1
