--- @include lib/photo_keys
--- @args tenant photo digests...
-- These results with faces of an erased photo are deleted. Returns 1 when none is left.
local pending = pending_faces_key(tenant, photo)
for _, digest in ipairs(digests) do redis.call('SREM', pending, digest) end
if redis.call('EXISTS', pending) == 1 then return 0 end
redis.call('SREM', p .. ':pending_face_delete', tenant .. '/' .. photo)
return 1
