--- @include lib/photo_keys
--- @include lib/result_keys
--- @args tenant photo stage most
-- The next results of this stage with faces of an erased photo: the caller deletes their blobs within DELETE_S, and a job that
-- finds them meanwhile cannot finish with them. A result of a job that has the photo, which was uploaded again, stays.
-- Returns digests.
local pending, found = pending_faces_key(tenant, photo), {}
local is_back = redis.call('EXISTS', photo_key(tenant, photo)) == 1
for _, digest in ipairs(redis.call('SRANDMEMBER', pending, most)) do
  if is_back and redis.call('SISMEMBER', faces_key(tenant, photo), digest) == 1 then
    redis.call('SREM', pending, digest)
  else
    redis.call('SET', erased_key(result_of(tenant, stage, digest)), 1, 'EX', DELETE_S)
    found[#found + 1] = digest
  end
end
return found
