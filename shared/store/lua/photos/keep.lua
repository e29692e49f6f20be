--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, photo, expiry_s, by, what was said of consent or '', 1 when it is only to be kept on. The photo is stored, and
-- may be used for so long from now. Sent again without a word, it keeps what was said before. Returns 1, or 0 and changes nothing
-- when its bytes are being deleted just now, or when it is only to be kept on and is not there.
local photo, said = photo_of(ARGV[2], ARGV[3]), ARGV[6]
if redis.call('EXISTS', clearing(ARGV[2], ARGV[3])) == 1 then return 0 end
if ARGV[7] ~= '' and redis.call('EXISTS', photo) == 0 then return 0 end
if said ~= '' or redis.call('EXPIRE', photo, ARGV[4]) == 0 then redis.call('SET', photo, '1' .. said, 'EX', ARGV[4]) end
redis.call('DEL', erased(ARGV[2], 'photo', ARGV[3]))
local id = note(ARGV[2], ARGV[5], 'photo.uploaded', ARGV[3])
if id and said ~= '' then quote(ARGV[2], ARGV[5], id, said) end
return 1
