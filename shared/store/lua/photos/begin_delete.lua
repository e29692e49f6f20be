--- @include lib/photo_keys
--- @args tenant photo
-- The caller deletes the bytes of an erased photo within DELETE_S; until photos/end_delete.lua it cannot be uploaded again.
-- Returns 1, or 0 when it was uploaded again before: then it stays.
if redis.call('EXISTS', photo_key(tenant, photo)) == 1 then
  redis.call('SREM', p .. ':pending_delete', tenant .. '/' .. photo)
  return 0
end
redis.call('INCR', deleting_key(tenant, photo))
redis.call('EXPIRE', deleting_key(tenant, photo), DELETE_S)
return 1
