-- ARGV: prefix, tenant, photo, expiry_s, by. The photo is stored, and may be used for so long from now.
redis.call('SET', p .. ':photo:' .. ARGV[2] .. ':' .. ARGV[3], 1, 'EX', ARGV[4])
redis.call('DEL', erased(ARGV[2], 'photo', ARGV[3]))
note(ARGV[2], ARGV[5], 'photo.uploaded', ARGV[3])
