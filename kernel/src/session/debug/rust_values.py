"""Makes LLDB's formatters for Rust values safe for values that are not there yet.

The toolchain's formatters (lldb_lookup.py) believe every length that they read. A variable of unoptimised code
that has no value yet, or the variant of an enum that is not in force, has any length: the debugger would read
gigabytes, or for ever. Here each length is checked against the memory that it claims. Loaded after them.
"""

import lldb
import lldb_lookup
import lldb_providers as given

LONGEST_TEXT = 4096
MOST_BUCKETS = 1 << 22
NOT_THERE = "(no value yet)"


def is_readable(value, start, size):
    """Whether this process has memory from `start` on, for so many bytes; the ends are tried."""
    if start == 0 or size < 0 or size > 1 << 44:
        return False
    process, error = value.GetProcess(), lldb.SBError()
    for address in {start, start + max(size, 1) - 1}:
        process.ReadMemory(address, 1, error)
        if not error.Success():
            return False
    return True


def text_at(value, start, length):
    """The UTF-8 text there, cut where it gets too long."""
    if length == 0:
        return '""'
    if not is_readable(value, start, length):
        return NOT_THERE
    error = lldb.SBError()
    data = value.GetProcess().ReadMemory(start, min(length, LONGEST_TEXT), error)
    if not error.Success():
        return NOT_THERE
    return '"' + data.decode("utf8", "replace") + ('"' if length <= LONGEST_TEXT else '…"')


def string_summary(valobj, _dict):
    parts = given.StdStringSyntheticProvider(valobj.GetNonSyntheticValue(), _dict)
    return text_at(valobj, parts.data_ptr.GetValueAsUnsigned(), parts.text_length)


def str_summary(valobj, _dict):
    valobj = valobj.GetNonSyntheticValue()
    length = valobj.GetChildMemberWithName("length").GetValueAsUnsigned()
    return text_at(valobj, valobj.GetChildMemberWithName("data_ptr").GetValueAsUnsigned(), length)


def checked(provider, length, start, size):
    """Wraps `update` of a provider: the field `length` becomes 0 if its memory is not there."""
    update = provider.update

    def safe(self):
        try:
            update(self)
            count = getattr(self, length)
            if count and not is_readable(self.valobj, start(self), count * size(self)):
                setattr(self, length, 0)
        except Exception:
            setattr(self, length, 0)

    provider.update = safe


def string_update(update):
    def safe(self):
        update(self)
        # One sees the text; its bytes one by one are of no use.
        self.text_length, self.length = self.length, 0

    return safe


def map_update(update):
    def safe(self):
        self.size, self.valid_indices = 0, []
        try:
            table = self.table().GetChildMemberWithName("table")
            buckets = table.GetChildMemberWithName("bucket_mask").GetValueAsUnsigned() + 1
            items = table.GetChildMemberWithName("items").GetValueAsUnsigned()
            start = table.GetChildMemberWithName("ctrl").GetChildAtIndex(0).GetValueAsUnsigned()
            if buckets & (buckets - 1) or buckets > MOST_BUCKETS or items > buckets:
                return
            if is_readable(self.valobj, start, buckets):
                update(self)
        except Exception:
            self.size, self.valid_indices = 0, []

    return safe


def lies_in_a_capacity(value, address):
    """Whether the bytes there are the capacity of a Vec, a String or the like, which never has its highest bit."""
    while value.IsValid():
        if "RawVec" in value.GetType().GetName():
            return True
        parts = (value.GetChildAtIndex(place).GetNonSyntheticValue() for place in range(value.GetNumChildren()))
        value = next(
            (part for part in parts if part.GetLoadAddress() <= address < part.GetLoadAddress() + part.GetByteSize()),
            lldb.SBValue(),
        )
    return False


def variant_in_force(self, variants):
    """The place of the variant whose number is stored; the one without a number if none has it.

    LLDB keeps 32 bits of a variant's number in its name, but all of the stored one.
    """
    numbered, default = [], None
    for place in range(variants.GetNumChildren()):
        variant = variants.GetChildAtIndex(place)
        stored = variant.GetChildMemberWithName("$discr$")
        if not stored.IsValid():
            default = (place, variant)
            continue
        try:
            numbered.append((place, int(variant.GetName().rsplit("$", 1)[1]), stored))
        except (IndexError, ValueError):
            continue
    for place, number, stored in numbered:
        width = 8 * max(stored.GetByteSize(), 1)
        found = stored.GetValueAsUnsigned() & ((1 << width) - 1)
        kept = min(width, 32)
        if (found ^ number) & ((1 << kept) - 1):
            continue
        if default is not None and width == 64 and not found >> 63:
            other = default[1].GetChildMemberWithName("value").GetNonSyntheticValue()
            if lies_in_a_capacity(other, stored.GetLoadAddress()):
                continue
        return place
    return default[0] if default is not None else 0


def replace(name, function):
    for module in (given, lldb_lookup):
        setattr(module, name, function)


given.StdStringSyntheticProvider.update = string_update(given.StdStringSyntheticProvider.update)
given.StdStringSyntheticProvider.has_children = lambda self: False
for sequence in (given.StdVecSyntheticProvider, given.StdSliceSyntheticProvider):
    is_vec = sequence is given.StdVecSyntheticProvider
    checked(
        sequence,
        "length",
        lambda self: self.data_ptr.GetValueAsUnsigned(),
        (lambda self: self.element_type_size) if is_vec else (lambda self: self.element_size),
    )
checked(
    given.StdVecDequeSyntheticProvider,
    "size",
    lambda self: self.data_ptr.GetValueAsUnsigned(),
    lambda self: self.element_type_size if self.size <= self.cap else 1 << 60,
)
given.StdHashMapSyntheticProvider.update = map_update(given.StdHashMapSyntheticProvider.update)
given.ClangEncodedEnumProvider._getCurrentVariantIndex = variant_in_force
replace("StdStringSummaryProvider", string_summary)
replace("StdStrSummaryProvider", str_summary)
