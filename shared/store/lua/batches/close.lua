--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, id, expiry_s. One step towards the end, if it is due: running -> finalizing once no job is open and no line
-- will be queued any more, finalizing -> its last state once every line is written. Returns the state then, or ''.
local id = ARGV[2]
local f = redis.call('HMGET', batch(id), 's', 'stop', 'open', 'good', 'bad',
  'n:succeeded', 'n:canceled', 'n:expired', 'chunk', 'chunks', 'tenant', 'n:failed')
if not f[1] then return '' end
local function number(i) return tonumber(f[i] or 0) end
local succeeded, taken_back = number(6), number(7) + number(8)
local all_queued = number(9) >= number(10)
local following
if f[1] == 'running' and number(3) == 0 and (f[2] or all_queued) then
  following = 'finalizing'
elseif f[1] == 'finalizing' and all_queued
    and redis.call('EXISTS', ended(id, 'output'), ended(id, 'errors')) == 0 then
  if f[2] and taken_back > 0 then
    following = f[2]
  elseif succeeded == 0 then
    following = 'failed'
  elseif succeeded < number(4) + number(5) then
    following = 'partially_failed'
  else
    following = 'succeeded'
  end
end
if not following then return f[1] end
redis.call('HSET', batch(id), 's', following, 'at:' .. following, stamp())
announce_batch(id)
if following ~= 'finalizing' then
  redis.call('ZREM', p .. ':feeding', id)
  tell(f[11], 'batch.' .. following, id, table.concat({
    '{"id":', cjson.encode(id), ',"status":"', following, '","succeeded":', succeeded, ',"failed":', number(12),
    ',"canceled":', number(7), ',"expired":', number(8), ',"invalid":', number(5), '}',
  }))
  -- Not by EXPIRE: the record knows what of the blob store is to go with it.
  local leaves = redis.call('HEXISTS', batch(id), 'leaving') == 1
  redis.call('ZADD', p .. ':keptbatches', leaves and 0 or now() + tonumber(ARGV[3]), id)
end
return following
