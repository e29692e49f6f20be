--- @include lib/batch_events
--- @include lib/batch_keys
--- @include lib/messages
--- @include lib/time
--- @args id expiry_s:number
-- One step towards the end, if it is due: running -> finalizing once no job is open and no line will be queued any more,
-- finalizing -> its last state once every line is written. Returns the state then, or ''.
local f = redis.call('HMGET', batch_key(id), 's', 'stop', 'open', 'good', 'bad',
  'n:succeeded', 'n:canceled', 'n:expired', 'chunk', 'chunks', 'tenant', 'n:failed', 'pending_delete')
if not f[1] then return '' end
local function value(i) return tonumber(f[i] or 0) end
local succeeded, stopped = value(6), value(7) + value(8)
local all_queued = value(9) >= value(10)
local following
if f[1] == 'running' and value(3) == 0 and (f[2] or all_queued) then
  following = 'finalizing'
elseif f[1] == 'finalizing' and all_queued
    and redis.call('EXISTS', ended_key(id, 'output'), ended_key(id, 'errors')) == 0 then
  if f[2] and stopped > 0 then
    following = f[2]
  elseif succeeded == 0 then
    following = 'failed'
  elseif succeeded < value(4) + value(5) then
    following = 'partially_failed'
  else
    following = 'succeeded'
  end
end
if not following then return f[1] end
redis.call('HSET', batch_key(id), 's', following, 'at:' .. following, stamp())
announce_batch(id)
if following ~= 'finalizing' then
  redis.call('ZREM', p .. ':active_batches', id)
  send_message(f[11], 'batch.' .. following, id, table.concat({
    '{"id":', cjson.encode(id), ',"status":"', following, '","succeeded":', succeeded, ',"failed":', value(12),
    ',"canceled":', value(7), ',"expired":', value(8), ',"invalid":', value(5), '}',
  }))
  -- Not by EXPIRE: the record knows which blobs are erased with it.
  redis.call('ZADD', p .. ':kept_batches', f[13] and 0 or now() + expiry_s, id)
end
return following
