--- @include lib/job_keys
--- @args tenant status? limit:number max_scanned:number after_at? after_id?
-- A tenant's jobs, the newest first, after the one that was submitted then and has this id. Jobs that are submitted meanwhile
-- come before the first page and move nothing.
-- Returns {submitted at, id of the last job scanned if there may be more ('' if not), id, {record...}, ...}.
local AT_ONCE = 100
local index, rank = p .. ':jobs:' .. tenant, 0
if after_at then
  rank = redis.call('ZCOUNT', index, '(' .. after_at, '+inf')
  -- Jobs of the same microsecond are in the order of their ids.
  for _, id in ipairs(redis.call('ZRANGE', index, after_at, after_at, 'BYSCORE', 'REV')) do
    if id >= after_id then rank = rank + 1 end
  end
end

local reply, found, scanned, gone, last = {'', ''}, 0, 0, {}, nil
while found < limit and scanned < max_scanned do
  local entries = redis.call('ZRANGE', index, rank, rank + AT_ONCE - 1, 'REV', 'WITHSCORES')
  if #entries == 0 then last = nil break end
  for i = 1, #entries, 2 do
    if found == limit or scanned == max_scanned then break end
    local id = entries[i]
    rank, scanned, last = rank + 1, scanned + 1, {entries[i + 1], id}
    local f = redis.call('HMGET', job_key(id), 's', 'lane')
    if not f[2] then
      gone[#gone + 1] = id
    elseif not status or (f[1] or 'queued') == status then
      found = found + 1
      reply[#reply + 1] = id
      reply[#reply + 1] = redis.call('HGETALL', job_key(id))
    end
  end
end
if last and rank < redis.call('ZCARD', index) then reply[1], reply[2] = last[1], last[2] end
if #gone > 0 then redis.call('ZREM', index, unpack(gone)) end
return reply
