--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, photo, marked_s, by. From now on no job can begin with the photo, and none that has begun can keep its faces.
-- Its bytes are to go until photos/end_delete.lua hears that they are gone. The identify results with faces of it, however many, are set
-- aside: photos/begin_erase_faces.lua hands them out. Returns 1 when there is anything of it.
local name, seen, aside = ARGV[2] .. '/' .. ARGV[3], faces(ARGV[2], ARGV[3]), fading(ARGV[2], ARGV[3])
local there = redis.call('DEL', photo_of(ARGV[2], ARGV[3]))
if redis.call('EXISTS', seen) == 1 then
  there = 1
  if redis.call('RENAMENX', seen, aside) == 0 then
    redis.call('SUNIONSTORE', aside, aside, seen)
    redis.call('UNLINK', seen)
  end
  redis.call('SADD', p .. ':fading', name)
end
if there == 0 then
  return math.max(redis.call('SISMEMBER', p .. ':going', name), redis.call('SISMEMBER', p .. ':fading', name))
end
redis.call('SADD', p .. ':going', name)
redis.call('SET', erased(ARGV[2], 'photo', ARGV[3]), 1, 'EX', ARGV[4])
note(ARGV[2], ARGV[5], 'photo.deleted', ARGV[3])
return 1
