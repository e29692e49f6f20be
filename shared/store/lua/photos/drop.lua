--- @include lib/audit
--- @include lib/photo_keys
--- @args tenant photo marked_s:number by
-- Erases a photo: from now on no job can begin with it, and none that has begun can keep its faces. Its bytes are pending until
-- photos/end_delete.lua. The results with faces of it, however many, are pending too: photos/begin_erase_faces.lua.
-- Returns 1 when there is anything of it.
local name, faces, pending = tenant .. '/' .. photo, faces_key(tenant, photo), pending_faces_key(tenant, photo)
local there = redis.call('DEL', photo_key(tenant, photo))
if redis.call('EXISTS', faces) == 1 then
  there = 1
  if redis.call('RENAMENX', faces, pending) == 0 then
    redis.call('SUNIONSTORE', pending, pending, faces)
    redis.call('UNLINK', faces)
  end
  redis.call('SADD', p .. ':pending_face_delete', name)
end
if there == 0 then
  return math.max(redis.call('SISMEMBER', p .. ':pending_delete', name), redis.call('SISMEMBER', p .. ':pending_face_delete', name))
end
redis.call('SADD', p .. ':pending_delete', name)
redis.call('SET', erased_photo_key(tenant, photo), 1, 'EX', marked_s)
record_action(tenant, by, 'photo.deleted', photo)
return 1
