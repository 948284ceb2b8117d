"""placeholder"""
class Cgroup: ...
class CgroupParent:
    @classmethod
    def find(cls): return None
def remove_leftovers(prefix): return []
