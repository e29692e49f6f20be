--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, log, chunks of it so far, name of the last one or '', replaces it (1 or 0), new name, jobs in it,
-- and for lines that never ran: chunk, at, next chunk, next at, status, lines.
-- Notes that a chunk of a log is written. The jobs' records stay for as long as their pictures do, because they know the
-- blobs: jobs/compact.lua makes them small.
-- Returns 1, or 0 when somebody else has written in the meantime: then the caller's chunk is nobody's.
local id, log = ARGV[2], p .. ':log:' .. ARGV[3] .. ':' .. ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'chunk', 'at')
if f[1] ~= 'running' and f[1] ~= 'finalizing' then return 0 end
if redis.call('LLEN', log) ~= tonumber(ARGV[4]) or (redis.call('LINDEX', log, -1) or '') ~= ARGV[5] then return 0 end
if ARGV[9] then
  if f[1] ~= 'finalizing' or f[2] ~= ARGV[9] or f[3] ~= ARGV[10] then return 0 end
  redis.call('HSET', batch(id), 'chunk', ARGV[11], 'at', ARGV[12])
  redis.call('HINCRBY', batch(id), 'n:' .. ARGV[13], ARGV[14])
  announce_batch(id)
end
if ARGV[6] == '1' then redis.call('LSET', log, -1, ARGV[7]) else redis.call('RPUSH', log, ARGV[7]) end
local jobs = tonumber(ARGV[8])
if jobs > 0 then redis.call('LTRIM', ended(id, ARGV[3]), jobs, -1) end
return 1
