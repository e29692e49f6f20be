-- Wakes the one that waits for this ('dispatch', 'feed' or 'deliver'). At most one notification is pending.
local function notify(name)
  local list = p .. ':notify:' .. name
  if redis.call('LLEN', list) == 0 then redis.call('LPUSH', list, 1) end
end
