"""The steps that Redis must take as one, in Lua. ``queue.py`` says what they are for and passes every key."""

ENQUEUE = """
-- KEYS: stream, job, result    ARGV: most jobs, time to live in ms, job id, then the job's fields and values
if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then return 1 end  -- a retry: it is there, or done, already
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
redis.call('HSET', KEYS[2], 'entry', redis.call('XADD', KEYS[1], '*', 'job', ARGV[3]))
return 1
"""

CANCEL = """
-- KEYS: job, each lane's stream    ARGV: group
local entry, lane = unpack(redis.call('HMGET', KEYS[1], 'entry', 'lane'))
if not entry then return 0 end
redis.call('XACK', KEYS[1 + lane], ARGV[1], entry)
redis.call('XDEL', KEYS[1 + lane], entry)
return redis.call('DEL', KEYS[1])
"""

COMPLETE = """
-- KEYS: stream, job, result, replies    ARGV: group, entry, job id, time to live in ms, then fields and values
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
if redis.call('DEL', KEYS[2]) == 0 then return 0 end  -- answered already, cancelled, or past its deadline
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[3], ARGV[4])
redis.call('RPUSH', KEYS[4], ARGV[3])
redis.call('PEXPIRE', KEYS[4], ARGV[4])
return 1
"""

RELEASE = """
-- KEYS: stream, job    ARGV: group, entry, job id, earlier deliveries, which the new entry does not know
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'entry', redis.call('XADD', KEYS[1], '*', 'job', ARGV[3]), 'delivered', ARGV[4])
return 1
"""

REPORT = """
-- KEYS: job    ARGV: fields and values
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
"""

BEAT = """
-- KEYS: workers    ARGV: worker's name, what it says of itself
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], (now[1] * 1000 + math.floor(now[2] / 1000)) .. ' ' .. ARGV[2])
return 1
"""
