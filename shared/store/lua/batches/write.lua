--- @include lib/batch_events
--- @include lib/batch_keys
--- @args id log before:number last replaces? name jobs:number chunk? at? next_chunk? next_at? status? lines:number?
-- A chunk of a log is written. before: chunks of the log so far; last: name of the last one or ''; replaces: the new chunk
-- replaces it; jobs: jobs in the new chunk. The rest is for lines that end without a job: from where to where, as what, how many.
-- The jobs' records stay for as long as their pictures do, because they know the blobs: jobs/compact.lua makes them small.
-- Returns 1, or 0 when another batch feeder has written in the meantime: then nothing refers to the caller's chunk.
local chunks = log_key(id, log)
local f = redis.call('HMGET', batch_key(id), 's', 'chunk', 'at')
if f[1] ~= 'running' and f[1] ~= 'finalizing' then return 0 end
if redis.call('LLEN', chunks) ~= before or (redis.call('LINDEX', chunks, -1) or '') ~= last then return 0 end
if chunk then
  if f[1] ~= 'finalizing' or f[2] ~= chunk or f[3] ~= at then return 0 end
  redis.call('HSET', batch_key(id), 'chunk', next_chunk, 'at', next_at)
  redis.call('HINCRBY', batch_key(id), 'n:' .. status, lines)
  announce_batch(id)
end
if replaces then redis.call('LSET', chunks, -1, name) else redis.call('RPUSH', chunks, name) end
if jobs > 0 then redis.call('LTRIM', ended_key(id, log), jobs, -1) end
return 1
