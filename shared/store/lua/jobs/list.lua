--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, tenant, status or '', limit, most looked at, and after which job to go on: submitted at, id (both '' at first).
-- A tenant's jobs, the newest first; what was submitted meanwhile comes before the first page and moves nothing.
-- Returns {submitted at, id of the last one looked at if there may be more ('' if not), id, {record...}, ...}.
local index, status, limit, most = p .. ':jobs:' .. ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local AT_ONCE = 100
local rank = 0
if ARGV[6] ~= '' then
  rank = redis.call('ZCOUNT', index, '(' .. ARGV[6], '+inf')
  -- Jobs of the same microsecond stand by their ids.
  for _, id in ipairs(redis.call('ZRANGE', index, ARGV[6], ARGV[6], 'BYSCORE', 'REV')) do
    if id >= ARGV[7] then rank = rank + 1 end
  end
end

local reply, found, looked, gone = {'', ''}, 0, 0, {}
local last
while found < limit and looked < most do
  local entries = redis.call('ZRANGE', index, rank, rank + AT_ONCE - 1, 'REV', 'WITHSCORES')
  if #entries == 0 then last = nil break end
  for i = 1, #entries, 2 do
    if found == limit or looked == most then break end
    local id = entries[i]
    rank, looked, last = rank + 1, looked + 1, {entries[i + 1], id}
    local kept = redis.call('HMGET', record(id), 's', 'lane')
    if not kept[2] then
      gone[#gone + 1] = id
    elseif status == '' or (kept[1] or 'queued') == status then
      found = found + 1
      reply[#reply + 1] = id
      reply[#reply + 1] = redis.call('HGETALL', record(id))
    end
  end
end
if last and rank < redis.call('ZCARD', index) then reply[1], reply[2] = last[1], last[2] end
if #gone > 0 then redis.call('ZREM', index, unpack(gone)) end
return reply
