--- @args worker
-- The worker is gone; another one need not wait for its lock to expire.
redis.call('ZREM', p .. ':workers', worker)
redis.call('DEL', p .. ':worker:' .. worker)
if redis.call('GET', p .. ':lock:dispatch') == worker then redis.call('DEL', p .. ':lock:dispatch') end
