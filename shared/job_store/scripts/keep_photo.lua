-- ARGV: prefix, tenant, photo, expiry_s, by, what was said of consent or ''. The photo is stored, and may be used for so long from
-- now. Sent again without a word, it keeps what was said before.
local photo, said = p .. ':photo:' .. ARGV[2] .. ':' .. ARGV[3], ARGV[6]
if said ~= '' or redis.call('EXPIRE', photo, ARGV[4]) == 0 then redis.call('SET', photo, '1' .. said, 'EX', ARGV[4]) end
redis.call('DEL', erased(ARGV[2], 'photo', ARGV[3]))
local id = note(ARGV[2], ARGV[5], 'photo.uploaded', ARGV[3])
if id and said ~= '' then quote(ARGV[2], ARGV[5], id, said) end
