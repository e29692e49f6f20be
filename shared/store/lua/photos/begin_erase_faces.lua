--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, photo, most. The next identify results with faces of a photo that was erased: their blobs are to be deleted
-- within ERASED_S, and whoever finds them just now does not finish with them. One that a job has with the photo, which was uploaded
-- again, stays. Returns digests.
local aside, found = fading(ARGV[2], ARGV[3]), {}
local is_back = redis.call('EXISTS', photo_of(ARGV[2], ARGV[3])) == 1
for _, digest in ipairs(redis.call('SRANDMEMBER', aside, ARGV[4])) do
  if is_back and redis.call('SISMEMBER', faces(ARGV[2], ARGV[3]), digest) == 1 then
    redis.call('SREM', aside, digest)
  else
    redis.call('SET', erased(ARGV[2], 'identify', digest), 1, 'EX', ERASED_S)
    found[#found + 1] = digest
  end
end
return found
