package dev.trm

import dev.trm.sample.SampleTests
import java.lang.reflect.InvocationTargetException
import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException
import kotlin.system.exitProcess

@Retention(AnnotationRetention.RUNTIME)
annotation class Test

/** Thrown by a test that cannot run on this machine. */
class Skipped(reason: String) : Exception(reason)

private val suites = listOf(
    SolvingTests::class, StoppingTests::class, ErrorTests::class, ConcurrencyTests::class,
    AssetTests::class, SampleTests::class, GpuTests::class,
)

private const val TIMEOUT_SECONDS = 120L

/**
 * Runs the tests whose "Class.name" contains one of the arguments, or all tests without arguments.
 * The timeout is necessary because many tests solve puzzles that would run for days if they did not
 * stop.
 */
fun main(arguments: Array<String>) {
    var passed = 0
    var failed = 0
    for (suite in suites) {
        val tests = suite.java.declaredMethods.filter { it.isAnnotationPresent(Test::class.java) }
        for (method in tests.sortedBy { it.name }) {
            val name = "${suite.simpleName}.${method.name}"
            if (arguments.isNotEmpty() && arguments.none(name::contains)) continue
            val run = FutureTask {
                method.invoke(suite.java.getDeclaredConstructor().newInstance())
            }
            val thread = Thread(run, name).apply { isDaemon = true; start() }
            val start = System.nanoTime()
            val failure = try {
                run.get(TIMEOUT_SECONDS, TimeUnit.SECONDS)
                null
            } catch (_: TimeoutException) {
                AssertionError("still running after $TIMEOUT_SECONDS s").apply {
                    stackTrace = thread.stackTrace
                }
            } catch (e: ExecutionException) {
                (e.cause as? InvocationTargetException)?.targetException ?: e
            }
            val time = "${(System.nanoTime() - start) / 1_000_000} ms"
            when (failure) {
                null -> { passed++; println("ok      $name, $time") }
                is Skipped -> println("skipped $name: ${failure.message}")
                else -> {
                    failed++
                    println("FAILED  $name, $time\n${failure.stackTraceToString()}")
                }
            }
        }
    }
    println("$passed passed, $failed failed")
    exitProcess(if (failed == 0 && passed > 0) 0 else 1)
}
