package dev.trm

import android.content.res.AssetFileDescriptor
import android.content.res.AssetManager
import java.io.File
import java.io.FileInputStream
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

/** Tests Assets.kt with stubs of Android's classes (`stubs/`). */
class AssetTests {
    /** The asset starts somewhere inside the app's package, as on a phone. */
    @Test
    fun anUncompressedAssetIsMapped() = runBlocking {
        val model = sudoku4.file.readBytes()
        val apk = File.createTempFile("trm", ".apk").apply {
            deleteOnExit()
            writeBytes(ByteArray(5_003) + model + ByteArray(100))
        }
        val asset = AssetFileDescriptor(FileInputStream(apk), 5_003, model.size.toLong())
        val assets = AssetManager(mapOf("sudoku.safetensors" to asset), mapOf())
        TrmSolver.fromAsset(assets, "sudoku.safetensors").use {
            assertTrue(asset.closed)
            assertEquals(SUDOKU_4_SOLUTION, it.solve(sudoku4.puzzle).text)
        }
    }

    @Test
    fun aCompressedOrMissingAssetIsAnError() {
        val assets = AssetManager(mapOf(), mapOf("packed.safetensors" to byteArrayOf(1)))
        assertThrows<TrmException.File>("noCompress += \"safetensors\"") {
            TrmSolver.fromAsset(assets, "packed.safetensors")
        }
        assertThrows<TrmException.File>("asset gone.safetensors: gone") {
            TrmSolver.fromAsset(assets, "gone.safetensors")
        }
    }
}
