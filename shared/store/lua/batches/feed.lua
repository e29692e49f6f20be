--- @include lib/batch_events
--- @include lib/batch_keys
--- @include lib/new_job
--- @args id source chunk at next_chunk next_at lines...
-- Queues the lines after the cursor and moves it, in one step: a batch feeder that ended or came late changes nothing.
-- lines: (job id, line, custom id, units, spec, number of the values that follow, more fields of the record) per line.
-- Returns 1, or 0 when the batch is not where the caller thinks.
local f = redis.call('HMGET', batch_key(id), 's', 'stop', 'source', 'chunk', 'at', 'tenant')
if f[1] ~= 'running' or f[2] or f[3] ~= source or f[4] ~= chunk or f[5] ~= at then return 0 end
local jobs, units, i = {}, 0, 1
while lines[i] do
  local after = i + 6 + lines[i + 5]
  local fields = {'batch', id, 'line', lines[i + 1], 'custom', lines[i + 2], 'chunk', source .. '-' .. chunk}
  for n = i + 6, after - 1 do fields[#fields + 1] = lines[n] end
  jobs[#jobs + 1] = {id = lines[i], units = lines[i + 3], spec = lines[i + 4], fields = fields}
  units, i = units + tonumber(lines[i + 3]), after
end
for _, job in ipairs(jobs) do
  create_job({id = job.id, lane = 'batch', tenant = f[6], units = job.units}, job.spec, job.fields)
  redis.call('SADD', open_key(id), job.id)
end
redis.call('HSET', batch_key(id), 'chunk', next_chunk, 'at', next_at)
redis.call('HINCRBY', batch_key(id), 'open', #jobs)
redis.call('HINCRBY', batch_key(id), 'left', 0 - units)
announce_batch(id)
return 1
