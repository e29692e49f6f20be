--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix, name, holder, what (keep, free or forget), keep_s, fingerprint, answer. The holder is through: its answer is kept,
-- or the next one may work at once with the same seed (free), or as if nobody had asked (forget).
-- Returns 1, or 0 when somebody else took over meanwhile.
local key = p .. ':answer:' .. ARGV[2]
if redis.call('HGET', key, 'holder') ~= ARGV[3] then return 0 end
if ARGV[4] == 'keep' then
  redis.call('DEL', key)
  redis.call('HSET', key, 'print', ARGV[6], 'answer', ARGV[7])
  redis.call('EXPIRE', key, ARGV[5])
elseif ARGV[4] == 'free' then
  redis.call('HSET', key, 'until', 0)
else
  redis.call('DEL', key)
end
return 1
