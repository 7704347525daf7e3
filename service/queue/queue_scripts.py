"""The steps that Redis must take as one, in Lua. ``queue.py`` says what they are for and passes every key."""

from service.queue.capped_store import SHELVE

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

COMPLETE = (
    SHELVE
    + """
-- KEYS: stream, job, result, replies, record, shelf, its size
-- ARGV: group, entry, job id, time to live in ms, outcome, most bytes on the shelf, the image's, then fields and values
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
if redis.call('DEL', KEYS[2]) == 0 then return 0 end  -- answered already, cancelled, or past its deadline
local picture_ms, record_ms = unpack(redis.call('HMGET', KEYS[5], 'picture_ms', 'record_ms'))
if picture_ms then  -- nobody waits on the line: the record tells what became of it
  redis.call('HSET', KEYS[5], 'outcome', ARGV[5])
  redis.call('PEXPIRE', KEYS[5], record_ms)
  if ARGV[7] == '0' then return 1 end
end
for i = 8, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[3], picture_ms or ARGV[4])
if picture_ms then
  shelve(KEYS[6], KEYS[7], tonumber(ARGV[6]), KEYS[3], ARGV[7], picture_ms)
else
  redis.call('RPUSH', KEYS[4], ARGV[3])
  redis.call('PEXPIRE', KEYS[4], ARGV[4])
end
return 1
"""
)

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
