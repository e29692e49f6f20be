local function webhooks_key(tenant) return p .. ':webhooks:' .. tenant end
local function webhook_key(id) return p .. ':webhook:' .. id end
local function delivery_key(id) return p .. ':delivery:' .. id end
local function deliveries_key(webhook) return p .. ':deliveries:' .. webhook end
local function due_key(webhook) return p .. ':due:' .. webhook end
local function delivering_key(webhook) return p .. ':delivering:' .. webhook end
-- Seconds that a delivery is kept.
local DELIVERY_S = 7 * 86400
