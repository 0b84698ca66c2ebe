"""What a kernel tells the memory: what it needs soon, and what goes past the caches."""

from llvmlite import ir
from numba import types

from xent._math.float import inner
from xent._math.vector import intrinsic

_LINE = 64


@intrinsic
def prefetch(typing, array, index):
    """Ask for the cache line of an element that is needed soon; one past the end does no harm."""

    def build(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, word = ir.PointerType(ir.IntType(8)), ir.IntType(32)
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, word, word, word]), name
        )
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(function, [place, *(ir.Constant(word, v) for v in (0, 2, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


@intrinsic
def stream(typing, out, at, block, count, past):
    """Copy ``block[:count]`` to the elements of the array ``out`` from ``at`` on.

    Where ``past`` is true, whole cache lines go past the caches: a gradient larger than these
    would first be read from memory, only to be overwritten.
    """

    def build(context, builder, signature, arguments):
        byte, word = ir.IntType(8), ir.IntType(64)
        bytes_, line = byte.as_pointer(), ir.VectorType(byte, _LINE)
        kind = context.get_data_type(signature.args[0].dtype)
        size = word(context.get_abi_sizeof(kind))
        to, source = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data
            for i in (0, 2)
        )
        to = builder.bitcast(builder.gep(to, [arguments[1]]), bytes_)
        source = builder.bitcast(source, bytes_)
        total = builder.mul(arguments[3], size)
        copy = builder.module.declare_intrinsic("llvm.memcpy", [bytes_, bytes_, word])

        def plainly(start, stop):
            length = builder.sub(stop, start)
            places = builder.gep(to, [start]), builder.gep(source, [start])
            builder.call(copy, [*places, length, ir.Constant(ir.IntType(1), 0)])

        with builder.if_else(arguments[4]) as (then, otherwise):
            with then:
                place = builder.ptrtoint(to, word)
                first = builder.and_(builder.neg(place), word(_LINE - 1))
                first = builder.select(builder.icmp_unsigned("<", first, total), first, total)
                last = builder.and_(builder.sub(total, first), word(-_LINE))
                last = builder.add(first, last)
                plainly(word(0), first)
                before = builder.basic_block
                head, body = builder.append_basic_block("head"), builder.append_basic_block("body")
                done = builder.append_basic_block("done")
                builder.branch(head)
                builder.position_at_end(head)
                i = builder.phi(word)
                i.add_incoming(first, before)
                builder.cbranch(builder.icmp_unsigned("<", i, last), body, done)
                builder.position_at_end(body)
                where = builder.bitcast(builder.gep(source, [i]), line.as_pointer())
                value = builder.load(where, align=1)
                where = builder.bitcast(builder.gep(to, [i]), line.as_pointer())
                store = builder.store(value, where, align=_LINE)
                one = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
                store.set_metadata("nontemporal", one)
                i.add_incoming(builder.add(i, word(_LINE)), body)
                builder.branch(head)
                builder.position_at_end(done)
                plainly(last, total)
            with otherwise:
                plainly(word(0), total)
        return context.get_dummy_value()

    return types.void(out, types.intp, block, types.intp, types.boolean), build


@intrinsic
def address(typing, array):
    """Return where an array begins in memory."""

    def build(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(array), build


@inner()
def to_line(array, count):
    """Return where the array's first cache line begins, or 0 where less than ``count`` are left.

    A vector of 64 bytes that lies across two lines is read and written twice.
    """
    first = (-address(array) % _LINE) // array.itemsize
    return first if array.shape[0] - first >= count else 0


@intrinsic
def arrive(typing):
    """Wait until all that was streamed is in memory: other threads may read it then."""

    def build(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), build
