-- ARGV: prefix, tenant, photo, marked_s, by. From now on no job can begin with the photo, and none that has begun can keep its faces.
-- Returns {1 when it was there, digest of an identify result with faces of it, ...}.
local there = redis.call('DEL', p .. ':photo:' .. ARGV[2] .. ':' .. ARGV[3])
local digests = redis.call('SMEMBERS', faces(ARGV[2], ARGV[3]))
for _, digest in ipairs(digests) do redis.call('SET', erased(ARGV[2], 'identify', digest), 1, 'EX', ERASED_S) end
if there == 1 or #digests > 0 then
  redis.call('SET', erased(ARGV[2], 'photo', ARGV[3]), 1, 'EX', ARGV[4])
  note(ARGV[2], ARGV[5], 'photo.deleted', ARGV[3])
end
return {there, unpack(digests)}
