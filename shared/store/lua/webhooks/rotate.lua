--- @include lib/time
--- @include lib/webhook_keys
--- @args id tenant secret old_valid_s:number
-- Replaces the secret; the old one stays valid for a while, and the one before that ends now.
-- Returns when the old one ends, or nothing when the tenant has no such webhook.
local key = webhook_key(id)
local f = redis.call('HMGET', key, 'tenant', 'secret')
if f[1] ~= tenant then return false end
local ends = string.format('%.6f', now() + old_valid_s)
redis.call('HSET', key, 'secret', secret, 'old', f[2], 'old_until', ends)
return ends
