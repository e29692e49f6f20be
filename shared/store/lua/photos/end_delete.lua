--- @include lib/photo_keys
--- @args tenant photo deleted?
-- The caller of photos/begin_delete.lua has finished; others may still be deleting. deleted: the bytes are gone.
local key = deleting_key(tenant, photo)
if tonumber(redis.call('GET', key) or 0) > 1 then redis.call('DECR', key) else redis.call('DEL', key) end
if deleted then redis.call('SREM', p .. ':pending_delete', tenant .. '/' .. photo) end
