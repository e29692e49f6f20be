-- ARGV: prefix, tenant. The queue as a tenant may see it: {speed or '', then (lane, the tenant's jobs that wait, those handed out,
-- its pictures a second, the last of those that wait or '', units of everybody that wait) a lane}.
local reply = {redis.call('GET', p .. ':speed') or ''}
for _, lane in ipairs({'interactive', 'batch'}) do
  local words = {
    lane, redis.call('ZCARD', ready(lane, ARGV[2])), redis.call('SCARD', abroad(lane, ARGV[2])),
    tostring(pace(lane, ARGV[2], 0)), redis.call('ZRANGE', ready(lane, ARGV[2]), -1, -1)[1] or '',
    redis.call('HGET', p .. ':load', lane .. ':units') or '0',
  }
  for _, word in ipairs(words) do reply[#reply + 1] = word end
end
return reply
