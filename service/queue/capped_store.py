"""A shelf in Redis: values that nobody may ever fetch, so the oldest leave when all together take too many bytes.

Each value is a key of its own with its own expiry. The shelf is a list of ``<bytes> <key>`` in order of arrival, and
the sum of these bytes. What left the shelf some other way counts until it is the oldest: the sum is never too low.
"""

SHELVE = """
local function shelve(list, total, most_bytes, key, bytes, ttl_ms)
  redis.call('RPUSH', list, bytes .. ' ' .. key)
  local held = redis.call('INCRBY', total, bytes)
  redis.call('PEXPIRE', list, ttl_ms)
  redis.call('PEXPIRE', total, ttl_ms)
  local oldest = redis.call('LINDEX', list, 0)
  while oldest do
    local size, name = string.match(oldest, '^(%d+) (.*)$')
    if held <= most_bytes and redis.call('EXISTS', name) == 1 then return end
    redis.call('LPOP', list)
    redis.call('UNLINK', name)
    held = redis.call('DECRBY', total, size)
    oldest = redis.call('LINDEX', list, 0)
  end
end
"""
"""For the beginning of a script that puts something on a shelf: ``key`` must be written, ``ttl_ms`` is its expiry."""
