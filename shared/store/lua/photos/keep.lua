--- @include lib/audit
--- @include lib/photo_keys
--- @args tenant photo expiry_s:number by consent? known?
-- The photo is stored, and may be used for this long from now. consent: what the upload said of it; without it, the photo keeps
-- what was said before. known: only if the photo is there. Returns 1, or 0 and changes nothing when its bytes are being deleted,
-- or when it should be there and is not.
local key = photo_key(tenant, photo)
if redis.call('EXISTS', deleting_key(tenant, photo)) == 1 then return 0 end
if known and redis.call('EXISTS', key) == 0 then return 0 end
if consent or redis.call('EXPIRE', key, expiry_s) == 0 then redis.call('SET', key, '1' .. (consent or ''), 'EX', expiry_s) end
redis.call('DEL', erased_photo_key(tenant, photo))
local entry = record_action(tenant, by, 'photo.uploaded', photo)
if entry and consent then record_consent(tenant, by, entry, consent) end
return 1
