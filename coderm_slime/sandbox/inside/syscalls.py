"""System calls that no program needs, by architecture, and what each refused one sees."""

import errno

# Column 1: x86_64, column 2: aarch64 (the kernel's generic table); None: the architecture has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    # network: nothing but pairs of connected Unix sockets
    "socket": (41, 198),
    "connect": (42, 203),
    "accept": (43, 202),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept4": (288, 242),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # mounts and namespaces
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    # wide surfaces of the kernel
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "vmsplice": (278, 75),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # the machine
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    # memory and messages that outlive a run, or that no limit counts
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semctl": (66, 191),
    "semop": (65, 193),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "msgctl": (71, 187),
    "semtimedop": (220, 192),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    # what others do: names in folders that no layer closes to it, mounts; contexts of which the machine has few
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "io_setup": (206, 0),
    "setsockopt": (54, 208),  # buffers of 8 MiB a socket, which no limit counts
}
# Of a file's owner, and Landlock does not know them: without a user id of its own a program would reach the caller's.
OWNERS: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
}
# Those whose arguments decide, and those that the fork server needs itself, see seccomp.py.
_BY_ARGUMENT: dict[str, tuple[int | None, int | None]] = {
    "mount": (165, 40),
    "pidfd_open": (434, 434),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "clone": (56, 220),
    "clone3": (435, 435),
    "socketpair": (53, 199),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
    "prlimit64": (302, 261),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
}
LAST_KNOWN = 462  # mseal (Linux 6.10); what came later is unknown to this table and does not exist for a program
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
REFUSED = errno.EPERM


class Table:
    """Numbers for one machine, as `os.uname().machine` names it.

    Raises:
        OSError: the machine is neither x86_64 nor aarch64.
    """

    def __init__(self, machine: str) -> None:
        if machine not in _AUDIT:
            raise OSError(errno.ENOSYS, f"no table of system calls for {machine}")
        self.audit = _AUDIT[machine]
        column = list(_AUDIT).index(machine)
        self.refused = [number for row in _NUMBERS.values() if (number := row[column]) is not None]
        self.owners = [number for row in OWNERS.values() if (number := row[column]) is not None]
        self._others = {name: row[column] for name, row in _BY_ARGUMENT.items()}

    def __getitem__(self, name: str) -> int:
        number = self._others[name]
        assert number is not None
        return number
