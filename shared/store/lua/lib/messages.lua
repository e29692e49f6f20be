--- @include lib/new_delivery
--- @include lib/time
--- @include lib/webhook_keys
--- @include lib/webhook_schedule
local MAX_DATA_BYTES = 16384

-- A message to every webhook of the tenant that subscribes to its kind, one delivery each, in the same step as the event.
-- kind: as the receiver reads it ('batch.succeeded'); subject: id of what it is about; data: JSON object, as text.
-- Costs a tenant without webhooks one command. Data that is too long is replaced by the subject's id.
local function send_message(tenant, kind, subject, data)
  local webhooks = webhooks_of(tenant)
  if #webhooks == 0 then return end
  if #data > MAX_DATA_BYTES then data = '{"id":' .. cjson.encode(subject) .. '}' end
  local message = 'msg_' .. string.sub(redis.sha1hex(kind .. subject .. stamp()), 1, 32)
  for _, webhook in ipairs(webhooks) do
    local f = redis.call('HMGET', webhook_key(webhook), 'events', 'off')
    local wanted = f[1] and (f[1] == '' or string.find(',' .. f[1] .. ',', ',' .. kind .. ',', 1, true))
    if wanted and not f[2] then create_delivery(webhook, message, kind, data) end
  end
end
