--- @include lib/core
--- @include lib/audit
--- @include lib/webhooks
--- @include lib/lifecycle
--- @include lib/single_flight
-- ARGV: prefix. Pixels of the largest picture that the workers draw; nil where nothing is refused for its size.
return largest()
